/** The bytes are not what PHP's handler writes. Its message quotes nothing of them. */
export class PhpSyntaxError extends SyntaxError {
  override readonly name = 'PhpSyntaxError'

  constructor(
    what: string,
    /** Where, in bytes, as far as it is known. */
    readonly at: number | undefined,
  ) {
    super(at === undefined ? what : `${what}, at byte ${String(at)}`)
  }
}
