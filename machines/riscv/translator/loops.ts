/**
 * Makes a control-flow graph reducible: every loop is entered at one place. A loop that has several heads gets a
 * dispatcher as the only one; who wants to enter it says in a selector where, and goes there. Only what begins the loop
 * again passes the dispatcher; loops inside of it stay as they are.
 */

/** Each node lists the nodes that it may continue at, once for each edge; nodes are in the order of the program. */
export type Graph = readonly (readonly number[])[];

/** Leads by the selector to any of its targets, or to a further dispatcher that does. */
export interface Dispatcher {
  /** Nodes of the graph. The first is the likeliest. */
  readonly targets: number[];
}

export class ReducibleGraph {
  /** Stands before all entries. It is the node after the last. */
  readonly root: number;
  readonly #graph: Graph;
  /** Dispatchers by their nodes: the root, and then those of loops. */
  readonly #dispatchers: Map<number, Dispatcher> = new Map();
  /** Edges that lead to a dispatcher instead of where they want to go. */
  readonly #detours: Map<number, number> = new Map();

  constructor(graph: Graph, entries: readonly number[]) {
    this.#graph = graph;
    this.root = graph.length;
    this.#dispatchers.set(this.root, { targets: [...entries] });
    this.#reduce(new Set(graph.keys()));
  }

  /** How many nodes there are with the dispatchers. */
  get size(): number {
    return this.#graph.length + this.#dispatchers.size;
  }

  dispatcher(node: number): Dispatcher | undefined {
    return this.#dispatchers.get(node);
  }

  /** The node that an edge leads to: where it wants to go, or a dispatcher. */
  next(from: number, to: number): number {
    return this.#detours.get(this.#edge(from, to)) ?? to;
  }

  successors(node: number): readonly number[] {
    const wanted = this.#dispatchers.get(node)?.targets ?? this.#graph[node] ?? [];
    return wanted.map((to) => this.next(node, to));
  }

  /** Gives each loop among these nodes one head, then does so within the loop. */
  #reduce(nodes: ReadonlySet<number>): void {
    for (const cycle of this.#cycles(nodes)) {
      const heads = this.#headsOf(cycle);
      const [first] = heads;
      // Unreachable nodes are in no one's way.
      if (first === undefined) continue;
      // Of nested loops, the outer one begins earlier as a rule.
      if (heads.length > 1) this.#dispatch(heads, cycle);
      else cycle.delete(first);
      this.#reduce(cycle);
    }
  }

  #dispatch(heads: number[], cycle: ReadonlySet<number>): void {
    const dispatcher = this.size;
    for (let from = 0; from < dispatcher; from++) {
      for (const to of this.#dispatchers.get(from)?.targets ?? this.#graph[from] ?? []) {
        const isEntering = heads.includes(to) && !cycle.has(from);
        if (!isEntering && !(to === heads[0] && cycle.has(from))) continue;
        // An edge into the loop from a dispatcher further out ends here; one that goes by way of another stays there.
        if (this.next(from, to) === to) this.#detours.set(this.#edge(from, to), dispatcher);
      }
    }
    this.#dispatchers.set(dispatcher, { targets: heads });
  }

  /** The nodes that edges from outside lead to, in the order of the program. */
  #headsOf(cycle: ReadonlySet<number>): number[] {
    const heads = new Set<number>();
    for (let from = 0; from < this.size; from++) {
      if (cycle.has(from)) continue;
      for (const to of this.successors(from)) if (cycle.has(to)) heads.add(to);
    }
    return [...heads].sort((a, b) => a - b);
  }

  /** Strongly connected components of some nodes, without single nodes that do not lead to themselves (Tarjan, 1972). */
  #cycles(nodes: ReadonlySet<number>): Set<number>[] {
    const order = new Map<number, number>(), low = new Map<number, number>();
    const stack: number[] = [], isStacked = new Set<number>(), found: Set<number>[] = [];
    const visit = (node: number) => {
      const position = order.size;
      order.set(node, position);
      low.set(node, position);
      stack.push(node);
      isStacked.add(node);
      const successors = this.successors(node).filter((to) => nodes.has(to));
      for (const to of successors) {
        if (!order.has(to)) visit(to);
        if (isStacked.has(to)) low.set(node, Math.min(low.get(node) ?? 0, low.get(to) ?? 0));
      }
      if (low.get(node) !== position) return;
      const component = new Set(stack.splice(stack.lastIndexOf(node)));
      for (const one of component) isStacked.delete(one);
      if (component.size > 1 || successors.includes(node)) found.push(component);
    };
    for (const node of nodes) if (!order.has(node)) visit(node);
    return found;
  }

  /** A wanted target is a node of the graph, not a dispatcher. */
  #edge(from: number, to: number): number {
    return from * this.#graph.length + to;
  }
}
