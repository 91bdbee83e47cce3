/** What the bytes of a record say. */
export interface RecordContent {
  /** The session's data; '' when there is none. */
  readonly text: string
  /** A copy that stays for a while after the session went on under another id. It is never written again. */
  readonly isRetired: boolean
  /** In clear, or by a key that is not the first one: to be written again, also where nothing has changed. */
  readonly isOutdated: boolean
}
