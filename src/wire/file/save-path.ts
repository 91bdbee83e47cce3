/** `file:DIRECTORY?survives=process|power&maxMiB=...&gcSec=...` */
import type { Refuse } from '../scheme.js'

export interface FileStoreSettings {
  /** As it was written: a relative one is of the directory that the process runs in. */
  readonly directory: string
  /** What a write that was acknowledged survives: the end of its process, or a power cut as well (a flush for each turn). */
  readonly survives: 'process' | 'power'
  /** The size of all items, in MiB; undefined: as large as the disk. */
  readonly maxMiB: number | undefined
  /** Seconds between two clearances of what has expired, of all processes together; 0: only `gc()` clears. */
  readonly gcSec: number
}

export const FORM = 'file:/var/lib/myapp/sessions'
export const DEFAULT_GC_SEC = 60

export function readFilePath(savePath: string, refuse: Refuse): FileStoreSettings {
  const rest = savePath.slice(savePath.indexOf(':') + 1)
  const mark = rest.indexOf('?')
  const [path, query] = mark < 0 ? [rest, ''] : [rest.slice(0, mark), rest.slice(mark + 1)]
  const directory = decoded(path.replace(/^\/\/(?=\/)/, ''))
  if (directory === undefined) return refuse('file', 'a % that begins no character', path)
  if (directory === '') return refuse('file', 'no directory is named')
  if (directory.startsWith('//')) return refuse('file', 'a directory of another machine', path)
  if (directory.includes('\0')) return refuse('file', 'a NUL in the name')
  let settings: FileStoreSettings = { directory, survives: 'process', maxMiB: undefined, gcSec: DEFAULT_GC_SEC }
  for (const pair of query === '' ? [] : query.split('&')) {
    const [name = '', value = ''] = pair.split('=')
    switch (name) {
      case 'survives':
        if (value !== 'process' && value !== 'power') return refuse('file', 'survives is "process" or "power"', value)
        settings = { ...settings, survives: value }
        break
      case 'maxMiB':
        settings = { ...settings, maxMiB: whole(value, 1, 1_000_000) ?? refuse('file', 'maxMiB is a whole number from 1 to 1000000', value) }
        break
      case 'gcSec':
        settings = { ...settings, gcSec: whole(value, 0, 86_400) ?? refuse('file', 'gcSec is a whole number from 0 to 86400', value) }
        break
      default:
        return refuse('file', 'there are only survives, maxMiB and gcSec', name)
    }
  }
  return settings
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

function whole(text: string, least: number, most: number): number | undefined {
  const number = /^\d{1,7}$/.test(text) ? Number(text) : -1
  return number >= least && number <= most ? number : undefined
}
