/** Where a server is that moves: the primary of several, as those say who watch it. */
import type { SocketAddress } from './address.js'

export interface Whereabouts {
  /**
   * Where it is now; asked for each connection, and answered within part of a flight's deadline.
   *
   * @throws {Error} nobody tells. The message says why, without its full stop.
   */
  locate(): Promise<SocketAddress>

  /** Whether it has been seen at another place since `locate` has answered with this one. */
  hasLeft(address: SocketAddress): boolean

  /** From now on `moved` is called when it is at another place. A hint: it may come late, or never. */
  follow(moved: (address: SocketAddress) => void): void

  close(): Promise<void>
}
