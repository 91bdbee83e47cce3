/** What came last, up to a limit: the oldest gives way, and is counted. */
export class Ring<T> {
  private items: T[] = []
  private next = 0
  dropped = 0

  constructor(private readonly limit: number) {}

  push(item: T): void {
    if (this.items.length < this.limit) {
      this.items.push(item)
      return
    }
    this.items[this.next] = item
    this.next = (this.next + 1) % this.limit
    this.dropped++
  }

  get size(): number {
    return this.items.length
  }

  /** Everything, the oldest first; the ring is empty then. */
  take(): T[] {
    const taken = [...this.items.slice(this.next), ...this.items.slice(0, this.next)]
    this.items = []
    this.next = 0
    this.dropped = 0
    return taken
  }
}
