/**
 * Turns a control-flow graph into structured WebAssembly by its dominator tree: a node's code is nested in that of its
 * immediate dominator; a node that several paths lead to follows a block which those paths leave; the target of a
 * backward edge begins a loop (N. Ramsey, "Beyond Relooper", 2022).
 */
import type { Expr, Local } from "../../wasm/expression.ts";
import { i32 } from "../../wasm/expression.ts";
import {
  block,
  branch,
  branchIf,
  branchTable,
  type Label,
  label,
  loop,
  set,
  type Statements,
  whenRarely,
} from "../../wasm/statement.ts";
import { type Dispatcher, type Graph, ReducibleGraph } from "./loops.ts";

/** The statements of a node; `go` gives those that continue at another node. No path falls off their end. */
export type NodeCode = (node: number, go: (to: number) => Statements) => Statements;

/** Where a graph is entered. */
export interface Beginning {
  readonly entries: readonly number[];
  /** Whether that is at the first entry. */
  readonly isFirst: Expr;
  /** The position of the entry. */
  readonly select: Expr;
  /** Used for that and for other choices. */
  readonly selector: Local;
}

/** `arrive` gives what is to be done first at the first entry, or at any of the others. */
export function structured(
  graph: Graph,
  beginning: Beginning,
  code: NodeCode,
  arrive: (entries: readonly number[]) => Statements,
): Statements {
  return new Structure(graph, beginning, code, arrive).statements();
}

class Structure {
  readonly #graph: ReducibleGraph;
  /** The numbers that the selector has for nodes: entries have their positions. */
  readonly #numbers: Map<number, number> = new Map();
  readonly #beginning: Beginning;
  readonly #selector: Local;
  readonly #code: NodeCode;
  readonly #arrive: (entries: readonly number[]) => Statements;
  /** All nodes that are reached, the root first, each before those that it dominates. */
  readonly #order: readonly number[];
  readonly #position: readonly (number | undefined)[];
  readonly #labels: Label[];
  readonly #loops: (Label | undefined)[];
  /** Forward edges that lead to a node; 2 stands for more. */
  readonly #merges: number[];
  readonly #children: number[][];

  constructor(graph: Graph, beginning: Beginning, code: NodeCode, arrive: (entries: readonly number[]) => Statements) {
    this.#arrive = arrive;
    this.#graph = new ReducibleGraph(graph, beginning.entries);
    this.#beginning = beginning;
    this.#selector = beginning.selector;
    this.#code = code;
    this.#order = this.#sort();
    const position: (number | undefined)[] = [];
    this.#order.forEach((node, i) => position[node] = i);
    this.#position = position;
    const nodes = Array.from({ length: this.#graph.size }, (_, node) => node);
    this.#labels = nodes.map((node) => label(`node ${node}`));
    this.#loops = nodes.map(() => undefined);
    this.#merges = nodes.map(() => 0);
    this.#children = nodes.map(() => []);
    const dominator = this.#dominators();
    for (const node of this.#order) {
      if (node !== this.#graph.root) this.#children[dominator[node] ?? this.#graph.root]?.push(node);
      const dispatcher = this.#graph.dispatcher(node);
      for (const target of dispatcher?.targets ?? []) this.#number(target);
      for (const to of this.#graph.successors(node)) {
        if (this.#isBackward(node, to)) this.#loops[to] ??= label(`loop ${to}`);
        // A dispatcher with a choice branches to all of its targets.
        else this.#merges[to] = (this.#merges[to] ?? 0) + (dispatcher && dispatcher.targets.length > 1 ? 2 : 1);
      }
    }
  }

  statements(): Statements {
    return this.#tree(this.#graph.root);
  }

  #number(node: number): number {
    const number = this.#numbers.get(node) ?? this.#numbers.size;
    this.#numbers.set(node, number);
    return number;
  }

  /** Reverse postorder. */
  #sort(): readonly number[] {
    const { root } = this.#graph;
    const postorder: number[] = [];
    const seen = new Set([root]);
    const stack = [{ node: root, rest: [...this.#graph.successors(root)] }];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const next = top.rest.shift();
      if (next === undefined) {
        postorder.push(top.node);
        stack.pop();
      } else if (!seen.has(next)) {
        seen.add(next);
        stack.push({ node: next, rest: [...this.#graph.successors(next)] });
      }
    }
    return postorder.reverse();
  }

  /** Immediate dominators, by intersection until nothing changes (Cooper, Harvey, Kennedy, 2001). */
  #dominators(): readonly (number | undefined)[] {
    const { root, size } = this.#graph;
    const predecessors: number[][] = Array.from({ length: size }, () => []);
    for (const node of this.#order) for (const to of this.#graph.successors(node)) predecessors[to]?.push(node);
    const dominator: (number | undefined)[] = [];
    dominator[root] = root;
    const above = (node: number) => dominator[node] ?? root;
    const meet = (a: number, b: number): number => {
      while (a !== b) {
        if ((this.#position[a] ?? 0) > (this.#position[b] ?? 0)) a = above(a);
        else b = above(b);
      }
      return a;
    };
    for (let changed = true; changed;) {
      changed = false;
      for (const node of this.#order) {
        if (node === root) continue;
        const known = (predecessors[node] ?? []).filter((from) => dominator[from] !== undefined);
        const found = known.length > 0 ? known.reduce(meet) : root;
        if (dominator[node] !== found) changed = true;
        dominator[node] = found;
      }
    }
    return dominator;
  }

  #isBackward(from: number, to: number): boolean {
    return (this.#position[to] ?? 0) <= (this.#position[from] ?? 0);
  }

  /** A node, what it dominates, and the loop around both if it begins one. */
  #tree(node: number): Statements {
    const merges = (this.#children[node] ?? [])
      .filter((child) => (this.#merges[child] ?? 0) > 1)
      .sort((a, b) => (this.#position[b] ?? 0) - (this.#position[a] ?? 0));
    const body = this.#within(node, merges);
    const start = this.#loops[node];
    return start ? [loop(start, body)] : body;
  }

  /** The node's own code in a block for each node that follows it; the last of those is outermost. */
  #within(node: number, [last, ...others]: readonly number[]): Statements {
    if (last !== undefined) return [block(this.#label(last), this.#within(node, others)), ...this.#tree(last)];
    const dispatcher = this.#graph.dispatcher(node);
    if (!dispatcher) return this.#code(node, (to) => this.#go(node, to));
    return node === this.#graph.root ? this.#begin(dispatcher) : this.#choose(node, dispatcher);
  }

  #begin({ targets }: Dispatcher): Statements {
    const { isFirst, select } = this.#beginning;
    const go = (entry: number) => this.#go(this.#graph.root, entry);
    const [first = 0, ...others] = targets;
    const atFirst = [...this.#arrive([first]), ...go(first)];
    if (others.length === 0) return atFirst;
    const elsewhere = label("another entry"), starts = others.map((entry) => label(`entry ${entry}`));
    const last = starts.at(-1) as Label;
    // The first entry has a number, too.
    const choice = branchTable([last, ...starts], last, select);
    let nest: Statements = [
      block(elsewhere, [branchIf(elsewhere, i32.eqz(isFirst)), ...atFirst]),
      ...this.#arrive(others),
      choice,
    ];
    for (const [i, entry] of others.entries()) nest = [block(starts[i] as Label, nest), ...go(entry)];
    return nest;
  }

  #choose(node: number, { targets }: Dispatcher): Statements {
    const [likeliest = 0, ...others] = targets;
    const onward = this.#follow(node, this.#graph.next(node, likeliest));
    if (others.length === 0) return onward;
    const first = this.#label(this.#graph.next(node, likeliest));
    const labels = Array.from(this.#numbers, () => first);
    for (const target of others) labels[this.#number(target)] = this.#label(this.#graph.next(node, target));
    const choice = branchTable(labels, first, this.#selector);
    return [whenRarely(i32.ne(this.#selector, i32.const(this.#number(likeliest))), [choice]), ...onward];
  }

  #go(from: number, to: number): Statements {
    const next = this.#graph.next(from, to);
    const way = this.#follow(from, next);
    return next === to ? way : [set(this.#selector, i32.const(this.#number(to))), ...way];
  }

  #follow(from: number, to: number): Statements {
    const start = this.#loops[to];
    if (start && this.#isBackward(from, to)) return [branch(start)];
    return (this.#merges[to] ?? 0) > 1 ? [branch(this.#label(to))] : this.#tree(to);
  }

  #label(node: number): Label {
    const found = this.#labels[node];
    if (!found) throw new Error(`the graph has no node ${node}`);
    return found;
  }
}
