/** What latchkey knows of a kind of store: how a save path names it, and what can be done with it then. */
import type { OpenOptions } from './open-options.js'
import type { OperatedStore, OperateOptions } from './operated-store.js'
import type { Wire } from './wire.js'

/**
 * Throws the error of a save path that is refused: `where` in it (`server 2`), the problem, and the piece that is at
 * fault, which is repeated only where the path holds no credentials.
 */
export type Refuse = (where: string, problem: string, value?: string) => never

/** A kind of store. A new one is a folder with one of these, and a line in the table of `open-wire.ts`. */
export interface WireScheme {
  /** What its save paths begin with: `tcp://`, `memory:`. In small letters. */
  readonly beginnings: readonly string[]
  /** How its save paths are written; a part of the message of every save path that is refused. */
  readonly form: string
  /** The environment variable in which its users name their servers by custom, and where the command-line tool looks. */
  readonly variable?: string
  /** Reads a save path. Pure: asks no server, and reads no file and no environment variable. */
  read(savePath: string, refuse: Refuse): StoreAddress
}

/** A save path that was read. */
export interface StoreAddress {
  /** Whether its wire knows where other products keep their keys (`OpenOptions.placement`). Default false. */
  readonly placesKeys?: boolean
  /** Makes a wire to the store. It connects when the first flight leaves. */
  open(options: OpenOptions): Wire
  /** The store as its operators see it; absent where it is inside one process, and no other one can look into it. */
  operate?(options: OperateOptions): OperatedStore
}
