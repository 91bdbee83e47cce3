/** Gathers a batch's bytes for one write: text and small values in a string, large values as they are. */

// Below this, a value is cheaper inside the string than as a buffer of its own.
const SMALL_BYTES = 1024

export class Outbox {
  #text = ''
  readonly #parts: Buffer[] = []

  /** Latin-1 text: one byte for each character. */
  text(text: string): void {
    this.#text += text
  }

  value(value: Buffer | string): void {
    if (typeof value === 'string') {
      this.#text += value
    } else if (value.length <= SMALL_BYTES) {
      this.#text += value.toString('latin1')
    } else {
      this.#flush()
      this.#parts.push(value)
    }
  }

  take(): Buffer | string {
    if (this.#parts.length === 0) return this.#text
    this.#flush()
    return Buffer.concat(this.#parts)
  }

  #flush(): void {
    if (this.#text === '') return
    this.#parts.push(Buffer.from(this.#text, 'latin1'))
    this.#text = ''
  }
}
