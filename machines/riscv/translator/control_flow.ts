/**
 * Turns a control-flow graph into structured WebAssembly by its dominator tree: a node's code is nested in that of its
 * immediate dominator; a node that several paths lead to follows a block which those paths leave; the target of a
 * backward edge begins a loop (N. Ramsey, "Beyond Relooper", 2022). Edges into the middle of a loop, which have no such
 * form, go by way of a table at the root.
 */
import type { Local } from "../../wasm/expression.ts";
import { i32 } from "../../wasm/expression.ts";
import { block, branch, branchTable, type Label, label, loop, set, type Statements } from "../../wasm/statement.ts";

/** Each node lists the nodes that it may continue at, once for each edge. */
export type Graph = readonly (readonly number[])[];

/** The statements of a node; `go` gives those that continue at another node. No path falls off their end. */
export type NodeCode = (node: number, go: (to: number) => Statements) => Statements;

/** `entry` is a local that says with which of `entries` to begin; it is used up. */
export function structured(graph: Graph, entries: readonly number[], entry: Local, code: NodeCode): Statements {
  return new Structure(graph, entries, entry, code).statements();
}

/** Order and dominators of a graph whose root leads to the entries. */
interface Order {
  /** Reverse postorder position of each node; unreachable ones have none. The root is node `graph.length`. */
  readonly position: readonly (number | undefined)[];
  readonly nodes: readonly number[];
  readonly dominator: readonly (number | undefined)[];
}

class Structure {
  readonly #graph: Graph;
  readonly #entry: Local;
  readonly #code: NodeCode;
  readonly #root: number;
  /** Nodes that the root's table leads to. */
  readonly #entries: number[];
  /** Edges that go by way of the root. */
  readonly #detours: Set<string> = new Set();
  readonly #order: Order;
  readonly #rootLabel = label("root");
  readonly #labels: Label[];
  readonly #loops: (Label | undefined)[];
  /** Forward edges that lead to a node; 2 stands for more. */
  readonly #merges: number[];
  readonly #children: number[][];

  constructor(graph: Graph, entries: readonly number[], entry: Local, code: NodeCode) {
    this.#graph = graph;
    this.#entries = [...entries];
    this.#entry = entry;
    this.#code = code;
    this.#root = graph.length;
    this.#order = this.#reduce();
    this.#labels = graph.map((_, node) => label(`node ${node}`));
    this.#loops = graph.map(() => undefined);
    this.#merges = graph.map(() => 0);
    this.#children = Array.from({ length: graph.length + 1 }, () => []);
    const fromRoot = this.#entries.length > 1 ? 2 : 1;
    for (const node of this.#entries) this.#merges[node] = fromRoot;
    for (const node of this.#order.nodes) {
      if (node === this.#root) continue;
      this.#children[this.#order.dominator[node] ?? this.#root]?.push(node);
      for (const to of this.#direct(node)) {
        if (this.#isBackward(node, to)) this.#loops[to] ??= label(`loop ${to}`);
        else this.#merges[to] = (this.#merges[to] ?? 0) + 1;
      }
    }
  }

  statements(): Statements {
    const [first = 0, ...others] = this.#entries;
    if (others.length === 0) return this.#tree(first);
    const all = this.#tree(this.#root);
    return this.#detours.size === 0 ? all : [loop(this.#rootLabel, all)];
  }

  /** Takes edges out of the graph until every loop is entered at its head only. */
  #reduce(): Order {
    for (;;) {
      const order = this.#sort();
      const dominates = (a: number, b: number | undefined): boolean => {
        while (b !== undefined && b !== a && b !== this.#root) b = order.dominator[b];
        return b === a;
      };
      const before = this.#detours.size;
      for (const node of order.nodes) {
        if (node === this.#root) continue;
        for (const to of this.#direct(node)) {
          if ((order.position[to] ?? 0) > (order.position[node] ?? 0) || dominates(to, node)) continue;
          this.#detours.add(edge(node, to));
          if (!this.#entries.includes(to)) this.#entries.push(to);
        }
      }
      if (this.#detours.size === before) return order;
    }
  }

  #successors(node: number): readonly number[] {
    return node === this.#root ? this.#entries : this.#direct(node);
  }

  #direct(node: number): readonly number[] {
    return (this.#graph[node] ?? []).filter((to) => !this.#detours.has(edge(node, to)));
  }

  #sort(): Order {
    const postorder: number[] = [];
    const seen = new Set([this.#root]);
    const stack = [{ node: this.#root, rest: [...this.#successors(this.#root)] }];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const next = top.rest.shift();
      if (next === undefined) {
        postorder.push(top.node);
        stack.pop();
      } else if (!seen.has(next)) {
        seen.add(next);
        stack.push({ node: next, rest: [...this.#successors(next)] });
      }
    }
    const nodes = postorder.reverse();
    const position: (number | undefined)[] = [];
    nodes.forEach((node, i) => position[node] = i);
    return { nodes, position, dominator: this.#dominators(nodes, position) };
  }

  /** Immediate dominators, by intersection until nothing changes (Cooper, Harvey, Kennedy, 2001). */
  #dominators(nodes: readonly number[], position: readonly (number | undefined)[]): readonly (number | undefined)[] {
    const predecessors: number[][] = Array.from({ length: this.#root + 1 }, () => []);
    for (const node of nodes) for (const to of this.#successors(node)) predecessors[to]?.push(node);
    const dominator: (number | undefined)[] = [];
    dominator[this.#root] = this.#root;
    const above = (node: number) => dominator[node] ?? this.#root;
    const meet = (a: number, b: number): number => {
      while (a !== b) {
        if ((position[a] ?? 0) > (position[b] ?? 0)) a = above(a);
        else b = above(b);
      }
      return a;
    };
    for (let changed = true; changed;) {
      changed = false;
      for (const node of nodes) {
        if (node === this.#root) continue;
        const known = (predecessors[node] ?? []).filter((from) => dominator[from] !== undefined);
        const found = known.length > 0 ? known.reduce(meet) : this.#root;
        if (dominator[node] !== found) changed = true;
        dominator[node] = found;
      }
    }
    return dominator;
  }

  #isBackward(from: number, to: number): boolean {
    return (this.#order.position[to] ?? 0) <= (this.#order.position[from] ?? 0);
  }

  /** A node, what it dominates, and the loop around both if it begins one. */
  #tree(node: number): Statements {
    const merges = (this.#children[node] ?? [])
      .filter((child) => (this.#merges[child] ?? 0) > 1)
      .sort((a, b) => (this.#order.position[b] ?? 0) - (this.#order.position[a] ?? 0));
    const body = this.#within(node, merges);
    const start = this.#loops[node];
    return start ? [loop(start, body)] : body;
  }

  /** The node's own code in a block for each node that follows it; the last of those is outermost. */
  #within(node: number, [last, ...others]: readonly number[]): Statements {
    if (last === undefined) return node === this.#root ? this.#choose() : this.#code(node, (to) => this.#go(node, to));
    return [block(this.#labels[last] ?? this.#rootLabel, this.#within(node, others)), ...this.#tree(last)];
  }

  #choose(): Statements {
    const labels = this.#entries.map((node) => this.#labels[node] ?? this.#rootLabel);
    return [branchTable(labels, labels[0] ?? this.#rootLabel, this.#entry)];
  }

  #go(from: number, to: number): Statements {
    if (this.#detours.has(edge(from, to))) {
      return [set(this.#entry, i32.const(this.#entries.indexOf(to))), branch(this.#rootLabel)];
    }
    const start = this.#loops[to];
    if (start && this.#isBackward(from, to)) return [branch(start)];
    const target = this.#labels[to];
    return (this.#merges[to] ?? 0) > 1 && target ? [branch(target)] : this.#tree(to);
  }
}

function edge(from: number, to: number): string {
  return `${from}>${to}`;
}
