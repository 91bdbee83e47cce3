/** Something that belongs to one session. */
export interface Entry {
  readonly id: string
}

interface Slot<T> {
  entry: T | undefined
}

/**
 * Entries by session id, for a working set that changes with every request.
 *
 * A Map that entries pass through makes itself anew all the time, and V8 keeps each old table linked to the next one:
 * once one of them is in the old generation, all that follow, and all that they hold, are promoted with it (measured:
 * two thirds of what survived a scavenge was such garbage). So the Map holds slots, and a slot is emptied when its
 * entry is taken out.
 */
export class SessionTable<T extends Entry> {
  private readonly slots = new Map<string, Slot<T>>()

  get size(): number {
    return this.slots.size
  }

  get(id: string): T | undefined {
    return this.slots.get(id)?.entry
  }

  /** To be called only when there is none under this id. */
  add(entry: T): void {
    this.slots.set(entry.id, { entry })
  }

  /** `entry` comes in the place of `old`, which is there. */
  replace(old: T, entry: T): void {
    const slot = this.slots.get(old.id)
    if (slot?.entry === old) slot.entry = entry
  }

  /** False when it is not in the table. */
  remove(entry: T): boolean {
    const slot = this.slots.get(entry.id)
    if (slot?.entry !== entry) return false
    slot.entry = undefined
    return this.slots.delete(entry.id)
  }

  /** Those that are there now, for calls that change the table. */
  all(): T[] {
    return [...this.slots.values()].flatMap(({ entry }) => entry ?? [])
  }
}
