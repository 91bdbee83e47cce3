/** One way to keep sessions: load, change and save one of them, as often as it is told to. */
export interface Contender {
  readonly name: string
  /** Stores session `index` anew. */
  seed(index: number): Promise<void>
  /** Loads session `index`, changes it, saves it. */
  cycle(index: number): Promise<void>
  close(): Promise<void>
}

const ZEROS = 's000000000000000000000000'

/** The id of session `index`, below ten million: 32 characters, as those that express-session and PHP make. */
export const idOf = (index: number): string => ZEROS + String(10_000_000 + index).slice(1)

/** What a session takes, where a row does not vary it. */
export const RECORD_BYTES = 400
