/** Something that the doctor has to say about a server. Codes are stable; docs/reference/cli.md has a row for each. */
export interface Finding {
  readonly code: FindingCode
  /** `problem`: sessions are lost, refused or in danger. `advice`: would be better. `note`: worth knowing. */
  readonly severity: 'problem' | 'advice' | 'note'
  readonly message: string
  /** What to change. */
  readonly advice: string
}

export type FindingCode =
  | 'unreachable'
  | 'credentials-refused'
  | 'stats-unavailable'
  | 'trial-failed'
  | 'server-lists-differ'
  | 'version-too-old'
  | 'version-known-bad'
  | 'cas-disabled'
  | 'out-of-memory'
  | 'evicting-sessions'
  | 'temporary-lru-off'
  | 'temporary-ttl-short'
  | 'evictions-off'
  | 'memory-small'
  | 'item-size-small'
  | 'items-too-large'
  | 'connections-nearly-used'
  | 'connections-refused'
  | 'lru-crawler-off'
  | 'key-dump-off'
  | 'clock-skew'
  | 'idle-timeout'
  | 'udp-open'
  | 'password-in-clear'
