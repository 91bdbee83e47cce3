/**
 * Where the clients of another product keep each key, in place of the node that owns the session's route.
 *
 * Such clients hash each key by itself, so a session's record and its lock may live on two nodes. A wire with a placement
 * then carries a flight out in legs, one after the other: see `legs.ts`.
 */
export interface Placement {
  /**
   * How a hashed part finds its node among several. `ketama`: the next point on libmemcached's default ring; `modula`: its
   * hash modulo the number of nodes. `single`: there must not be several.
   */
  readonly ring: 'ketama' | 'modula' | 'single'
  /** The part of a key that is hashed. */
  hashedPart(key: string): string
  /** The hashed part of the key that stands for the whole session, where one node is asked for: that of its lock. */
  hashedPartOf(route: string): string
}
