/** Something that belongs to one session. The link belongs to the table. */
export interface Entry<Self> {
  readonly id: string
  nextInSlot: Self | undefined
}

const FIRST_SLOTS = 256

/**
 * Entries by session id, for a working set that changes with every request.
 *
 * A Map that entries pass through makes itself anew all the time, and V8 keeps each old table linked to the next one:
 * once one of them is in the old generation, all that follow and all that they hold are promoted with it (measured:
 * two thirds of what survived a scavenge was such garbage). Here an entry that is taken out is linked to nothing.
 */
export class SessionTable<T extends Entry<T>> {
  private slots = emptySlots<T>(FIRST_SLOTS)
  private count = 0

  /** @param seed of the hash, so that nobody can choose ids that all share a slot. */
  constructor(private readonly seed: number) {}

  get size(): number {
    return this.count
  }

  get(id: string): T | undefined {
    let entry = this.slots[this.slotOf(id)]
    while (entry !== undefined && entry.id !== id) entry = entry.nextInSlot
    return entry
  }

  /** To be called only when there is none under this id. */
  add(entry: T): void {
    this.link(entry)
    if (++this.count > this.slots.length) this.grow()
  }

  /** False when it is not in the table. */
  remove(entry: T): boolean {
    const slot = this.slotOf(entry.id)
    let before: T | undefined
    let at = this.slots[slot]
    while (at !== undefined && at !== entry) {
      before = at
      at = at.nextInSlot
    }
    if (at === undefined) return false
    if (before === undefined) this.slots[slot] = entry.nextInSlot
    else before.nextInSlot = entry.nextInSlot
    entry.nextInSlot = undefined
    this.count--
    return true
  }

  /** Those that are there now, for calls that change the table. */
  all(): T[] {
    const all: T[] = []
    for (const first of this.slots) {
      for (let entry = first; entry !== undefined; entry = entry.nextInSlot) all.push(entry)
    }
    return all
  }

  private link(entry: T): void {
    const slot = this.slotOf(entry.id)
    entry.nextInSlot = this.slots[slot]
    this.slots[slot] = entry
  }

  private grow(): void {
    const all = this.all()
    this.slots = emptySlots(this.slots.length * 2)
    for (const entry of all) this.link(entry)
  }

  /** FNV-1a over the whole id, from a seed. */
  private slotOf(id: string): number {
    let hash = this.seed
    for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193)
    return (hash ^ (hash >>> 15)) & (this.slots.length - 1)
  }
}

const emptySlots = <T>(count: number): (T | undefined)[] => new Array<T | undefined>(count).fill(undefined)
