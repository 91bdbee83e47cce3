/** One way to keep sessions: load, change and save one of them, as often as it is told to. */
export interface Contender {
  readonly name: string
  /** Stores session `index` anew. */
  seed(index: number): Promise<void>
  /** Loads session `index`, changes it, saves it. */
  cycle(index: number): Promise<void>
  close(): Promise<void>
}

/** The id of session `index`: as long as those that express-session and PHP make. */
export const idOf = (index: number): string => `s${String(index).padStart(31, '0')}`
