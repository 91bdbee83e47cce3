import { UsageError } from './usage-error.js'

/** `watch`: of running processes, and of no store. */
export interface WatchInvocation {
  readonly kind: 'command'
  readonly command: 'watch'
  readonly phpFile?: undefined
  /** Where their pages are; each ends with a slash. */
  readonly urls: readonly URL[]
  /** What is sent to each: for its guard. */
  readonly headers: Headers
  /** 0: a free one. */
  readonly port: number
  readonly json: boolean | undefined
}

interface Given {
  readonly header?: readonly string[] | undefined
  readonly port?: string | undefined
}

/** @throws UsageError */
export function watchOf(texts: readonly string[], { header = [], port = '0' }: Given, json: boolean | undefined): WatchInvocation {
  if (texts.length === 0) throw new UsageError('watch takes the address of a live page, or of several: http://10.0.0.1:3000/latchkey')
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new UsageError('--port is a number from 0 (a free one) to 65535.')
  return { kind: 'command', command: 'watch', urls: texts.map(urlOf), headers: headersOf(header), port: Number(port), json }
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError('watch takes addresses of live pages, such as http://10.0.0.1:3000/latchkey. A save path has no events: see "locks" for who holds what.')
  }
  // fetch takes none in a URL, and a URL is shown.
  if (url.username !== '' || url.password !== '') throw new UsageError("A password goes into a header: --header 'Authorization: Basic ...'.")
  url.pathname = url.pathname.replace(/\/*$/, '/')
  url.search = ''
  url.hash = ''
  return url
}

function headersOf(texts: readonly string[]): Headers {
  const headers = new Headers()
  for (const text of texts) {
    const [, name = '', value = ''] = /^([^:]+):\s*(.*)$/s.exec(text) ?? []
    try {
      headers.append(name, value)
    } catch {
      // What is wrong is not repeated: it may be a password.
      throw new UsageError("--header is a name and a value: --header 'Authorization: Bearer ...'.")
    }
  }
  return headers
}
