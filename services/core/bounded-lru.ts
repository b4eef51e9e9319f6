interface Node<K, V> {
  readonly key: K;
  value: V;
  size: number;
  newer: Node<K, V> | undefined;
  older: Node<K, V> | undefined;
}

/**
 * A map that holds at most `sizeMax` in all, by the size that each entry is given: the least recently used ones go first.
 * An entry that is larger than that alone isn't kept. Linked, not re-inserted on use: a large Map that is used as a
 * queue stops the event loop each time that it rebuilds itself.
 */
export class BoundedLru<K, V> {
  readonly #sizeMax: number;
  readonly #nodes = new Map<K, Node<K, V>>();
  #newest: Node<K, V> | undefined;
  #oldest: Node<K, V> | undefined;
  #size = 0;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get count(): number {
    return this.#nodes.size;
  }

  /** Sum of the sizes of what is held. */
  get size(): number {
    return this.#size;
  }

  /** Gives the value and makes it the last to go. */
  get(key: K): V | undefined {
    const node = this.#nodes.get(key);
    if (node === undefined) return undefined;
    if (node !== this.#newest) {
      this.#unlink(node);
      this.#link(node);
    }
    return node.value;
  }

  set(key: K, value: V, size: number): void {
    this.delete(key);
    if (size > this.#sizeMax) return;
    const node: Node<K, V> = { key, value, size, newer: undefined, older: undefined };
    this.#nodes.set(key, node);
    this.#link(node);
    this.#size += size;
    while (this.#size > this.#sizeMax && this.#oldest !== undefined) this.delete(this.#oldest.key);
  }

  delete(key: K): void {
    const node = this.#nodes.get(key);
    if (node === undefined) return;
    this.#nodes.delete(key);
    this.#unlink(node);
    this.#size -= node.size;
  }

  clear(): void {
    this.#nodes.clear();
    this.#newest = undefined;
    this.#oldest = undefined;
    this.#size = 0;
  }

  #link(node: Node<K, V>): void {
    node.older = this.#newest;
    node.newer = undefined;
    if (this.#newest) this.#newest.newer = node;
    this.#newest = node;
    this.#oldest ??= node;
  }

  #unlink(node: Node<K, V>): void {
    if (node.newer) node.newer.older = node.older;
    else this.#newest = node.older;
    if (node.older) node.older.newer = node.newer;
    else this.#oldest = node.newer;
  }
}
