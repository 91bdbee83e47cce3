import type { WriteStream } from 'node:tty'

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const

/** Colours for a terminal that wants them; plain text for everything else. */
export type Paint = Readonly<Record<keyof typeof CODES, (text: string) => string>>

/** @see https://no-color.org: set and not empty, it means no colours. */
export function paintFor(stream: Pick<WriteStream, 'isTTY'>, env: NodeJS.ProcessEnv): Paint {
  const wanted = stream.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
  const painter = (code: number) => (text: string): string => wanted ? `\x1b[${String(code)}m${text}\x1b[0m` : text
  const { bold, dim, red, green, yellow, cyan } = CODES
  return {
    bold: painter(bold),
    dim: painter(dim),
    red: painter(red),
    green: painter(green),
    yellow: painter(yellow),
    cyan: painter(cyan),
  }
}
