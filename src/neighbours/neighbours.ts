/**
 * Connects the processes of one host. Use what they say as a hint only: a line may be lost, come late or twice, or come
 * from somebody who makes it up.
 */
export interface Neighbours {
  /** Opens this process's own door, where others may call. The door does not keep the process alive. */
  open(owner: DoorOwner): Door
  /** Calls at the door with this address. Lines that are sent before the door answers are kept until then. */
  call(address: string, owner: LinkOwner): Link
}

export interface DoorOwner {
  /** Called when others can call at this address. No other door ever has the same address, in any process. */
  onOpen(address: string): void
  /** Called when somebody has called. The owner returned is told what comes over the link. */
  onCaller(link: Link): LinkOwner
}

export interface Door {
  /** Removes the door, so that nobody finds it any more, and ends the links of all callers. */
  close(): void
}

export interface Link {
  /** Sends a line of ASCII, without a line break. */
  send(line: string): void
  /** Ends the link. Its owner is told nothing after that. */
  close(): void
}

/**
 * How a link ended.
 *
 * `refused`: the door exists, but its process has ended. `ended`: the link broke off, or the other side ended it.
 * `unreachable`: the door cannot be found from here, and nothing is known of its process.
 */
export type LinkEnd = 'refused' | 'ended' | 'unreachable'

export interface LinkOwner {
  onLine(line: string): void
  /** Called when the link has ended; nothing is told after that. */
  onEnd(how: LinkEnd): void
}
