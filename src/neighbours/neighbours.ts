/**
 * Processes of one host that can tell each other something. A hint is all that may depend on what is told: a line may be
 * lost, come late, come twice, or come from somebody who makes it up.
 */
export interface Neighbours {
  /** Opens a door of this process's own, where others may call. It does not keep the process alive. */
  open(owner: DoorOwner): Door
  /** Calls at the door with that address. What is sent before it answers is kept until then. */
  call(address: string, owner: LinkOwner): Link
}

export interface DoorOwner {
  /** Others can call now, at this address; it is never that of another door, in any process, at any time. */
  onOpen(address: string): void
  /** Somebody has called; what is returned is told what comes from there. */
  onCaller(link: Link): LinkOwner
}

export interface Door {
  /** Nobody finds it any more, and who is there is sent away. */
  close(): void
}

export interface Link {
  /** A line of ASCII without a line break. */
  send(line: string): void
  /** Its owner is told nothing more. */
  close(): void
}

/**
 * How a link ended.
 *
 * `refused`: the door is there, and its process has ended. `ended`: it broke off, or was broken off over there.
 * `unreachable`: no such door can be found from here; whether its process lives is not known.
 */
export type LinkEnd = 'refused' | 'ended' | 'unreachable'

export interface LinkOwner {
  onLine(line: string): void
  /** The last that is told. */
  onEnd(how: LinkEnd): void
}
