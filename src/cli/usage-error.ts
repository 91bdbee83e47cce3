/** The command line cannot be carried out as it is; nothing was asked of any server. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
