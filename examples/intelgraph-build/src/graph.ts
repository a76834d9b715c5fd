// Entities and the relations between them, in memory.

export interface Relation {
  from: string;
  to: string;
  kind: string;
}

export class Graph {
  readonly #out = new Map<string, Relation[]>();

  add(relation: Relation): void {
    for (const entity of [relation.from, relation.to]) {
      if (entity === "") throw new RangeError("an entity has a name");
    }
    const list = this.#out.get(relation.from) ?? [];
    list.push(relation);
    this.#out.set(relation.from, list);
  }

  neighbours(entity: string): string[] {
    const names = (this.#out.get(entity) ?? []).map((relation) => relation.to);
    return [...new Set(names)].sort();
  }

  /** The shortest path, both ends included; nothing where there is none. */
  path(from: string, to: string): string[] | undefined {
    const before = new Map<string, string>();
    const seen = new Set([from]);
    const queue = [from];
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
      if (at === to) return trace(before, from, to);
      for (const next of this.neighbours(at)) {
        if (seen.has(next)) continue;
        seen.add(next);
        before.set(next, at);
        queue.push(next);
      }
    }
    return undefined;
  }
}

function trace(before: Map<string, string>, from: string, to: string): string[] {
  const path = [to];
  for (let at = to; at !== from; ) {
    const previous = before.get(at);
    if (previous === undefined) break;
    path.unshift(previous);
    at = previous;
  }
  return path;
}
