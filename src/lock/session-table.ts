/** An object that belongs to one session. */
export interface Entry {
  readonly id: string
}

interface Slot<T> {
  entry: T | undefined
}

/**
 * Holds one entry for each session id. Entries come and go with every request.
 *
 * A Map with so much coming and going rebuilds its table all the time, and V8 links each old table to the next one.
 * Once one old table is in the old generation, all later tables and all that they hold are promoted too (measured: two
 * thirds of what survived a scavenge was such garbage). So the Map holds slots, and a slot is emptied when its entry is
 * removed.
 */
export class SessionTable<T extends Entry> {
  private readonly slots = new Map<string, Slot<T>>()

  get size(): number {
    return this.slots.size
  }

  get(id: string): T | undefined {
    return this.slots.get(id)?.entry
  }

  /** Call this only while the table has no entry under this id. */
  add(entry: T): void {
    this.slots.set(entry.id, { entry })
  }

  /** Puts `entry` in the place of `old`; does nothing if `old` is not in the table. */
  replace(old: T, entry: T): void {
    const slot = this.slots.get(old.id)
    if (slot?.entry === old) slot.entry = entry
  }

  /** Removes the entry; returns false when it is not in the table. */
  remove(entry: T): boolean {
    const slot = this.slots.get(entry.id)
    if (slot?.entry !== entry) return false
    slot.entry = undefined
    return this.slots.delete(entry.id)
  }

  /** A copy of the present entries, so that the caller may change the table while going through them. */
  all(): T[] {
    return [...this.slots.values()].flatMap(({ entry }) => entry ?? [])
  }
}
