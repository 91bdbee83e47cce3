/** An object that belongs to one session. */
export interface Entry {
  readonly id: string
}

interface Slot<T> {
  entry: T | undefined
}

/** A power of two. Of 64 sessions in use at a time four meet another one at their place. */
const PLACES = 1024

/**
 * Holds one entry for each session id. Entries come and go with every request.
 *
 * An entry stands at the place that the end of its id names, where nothing needs to be made for it. The few whose place
 * is taken stand in a Map; so do those of an attacker who makes ids that all end alike.
 *
 * A Map with much coming and going rebuilds its table all the time, and V8 links each old table to the next one.
 * Once one old table is in the old generation, all later tables and all that they hold are promoted too (measured: two
 * thirds of what survived a scavenge was such garbage). So the Map holds slots, and a slot is emptied when its entry is
 * removed.
 */
export class SessionTable<T extends Entry> {
  private readonly places = new Array<T | undefined>(PLACES).fill(undefined)
  private placed = 0
  private readonly slots = new Map<string, Slot<T>>()

  get size(): number {
    return this.placed + this.slots.size
  }

  get(id: string): T | undefined {
    const there = this.places[placeOf(id)]
    if (there === undefined && this.slots.size === 0) return undefined
    return there?.id === id ? there : this.slots.get(id)?.entry
  }

  /** Call this only while the table has no entry under this id. */
  add(entry: T): void {
    const place = placeOf(entry.id)
    if (this.places[place] === undefined) {
      this.places[place] = entry
      this.placed++
    } else {
      this.slots.set(entry.id, { entry })
    }
  }

  /** Puts `entry` in the place of `old`; does nothing if `old` is not in the table. */
  replace(old: T, entry: T): void {
    const place = placeOf(old.id)
    const slot = this.slots.get(old.id)
    if (this.places[place] === old) this.places[place] = entry
    else if (slot?.entry === old) slot.entry = entry
  }

  /** Removes the entry; returns false when it is not in the table. */
  remove(entry: T): boolean {
    const place = placeOf(entry.id)
    if (this.places[place] === entry) {
      this.places[place] = undefined
      this.placed--
      return true
    }
    const slot = this.slots.get(entry.id)
    if (slot?.entry !== entry) return false
    slot.entry = undefined
    return this.slots.delete(entry.id)
  }

  /** A copy of the present entries, so that the caller may change the table while going through them. */
  all(): T[] {
    return [...this.places, ...[...this.slots.values()].map(({ entry }) => entry)].flatMap((entry) => entry ?? [])
  }
}

/** By the last three characters: session ids are random, and those that are not are numbered. */
function placeOf(id: string): number {
  const { length } = id
  return (id.charCodeAt(length - 1) + id.charCodeAt(length - 2) * 31 + id.charCodeAt(length - 3) * 961) & (PLACES - 1)
}
