import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { checkNames } from '../../system/option-names.js'
import { fail } from '../option-checks.js'

/** Compression of large records: Brotli, kept only where it makes the record smaller. */
export interface CompressionOptions {
  /** Bytes of text above which a record is compressed. 0 to 2^30. Default 1024. */
  readonly aboveBytes?: number
  /**
   * Bytes that a record may expand to, when it is read and when it is written. 1024 to 2^30, not less than
   * `aboveBytes`. Default 8 388 608 (8 MiB).
   */
  readonly maxBytes?: number
}

const OPTIONS: ReadonlySet<string> = new Set<keyof CompressionOptions>(['aboveBytes', 'maxBytes'])
const DEFAULT_ABOVE_BYTES = 1024
const DEFAULT_MAX_BYTES = 8 * 1024 * 1024
const MOST_BYTES = 2 ** 30

/** Why compressed bytes cannot be expanded. */
export type InflateFailure = 'tooLarge' | 'cut' | 'garbage'

/** Synchronous: it takes less time than the JSON of the same record (docs/guide/compression.md), which is synchronous too. */
export class Compression {
  readonly #aboveBytes: number

  private constructor(
    /** Infinity: nothing is compressed; what is compressed is read all the same. */
    aboveBytes: number,
    readonly maxBytes: number,
  ) {
    this.#aboveBytes = aboveBytes
  }

  /** @throws InvalidOptionError LATCHKEY_INVALID_OPTION: out of range, with the value and the limits. */
  static of(options: CompressionOptions | undefined): Compression {
    if (options === undefined) return new Compression(Infinity, DEFAULT_MAX_BYTES)
    checkNames(options, OPTIONS, 'compression')
    const aboveBytes = checked('aboveBytes', options.aboveBytes ?? DEFAULT_ABOVE_BYTES, 0)
    const fallback = Math.max(DEFAULT_MAX_BYTES, aboveBytes)
    const maxBytes = checked('maxBytes', options.maxBytes ?? fallback, Math.max(1024, aboveBytes))
    return new Compression(aboveBytes, maxBytes)
  }

  /** Whether a text of so many bytes is to be compressed. */
  wants(bytes: number): boolean {
    return bytes > this.#aboveBytes
  }

  deflate(bytes: Buffer): Buffer {
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT, BROTLI_MIN_QUALITY } = constants
    // Quality 1, one above the lowest: twice as fast as Deflate at its fastest, and the result is smaller.
    const params = { [BROTLI_PARAM_QUALITY]: BROTLI_MIN_QUALITY + 1, [BROTLI_PARAM_SIZE_HINT]: bytes.length }
    return brotliCompressSync(bytes, { params })
  }

  inflate(bytes: Buffer): Buffer | InflateFailure {
    try {
      return brotliDecompressSync(bytes, { maxOutputLength: this.maxBytes })
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'ERR_BUFFER_TOO_LARGE') return 'tooLarge'
      return code === 'Z_BUF_ERROR' ? 'cut' : 'garbage'
    }
  }
}

function checked(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least && value <= MOST_BYTES) return value
  return fail(`compression.${name}`, value, `a whole number from ${String(least)} to ${String(MOST_BYTES)}`)
}
