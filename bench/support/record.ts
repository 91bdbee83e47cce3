/** The sessions that are measured with: what an express-session store keeps, padded to an exact size. */

export interface SessionData {
  cookie: { originalMaxAge: null; path: string }
  n: number
  pad: string
}

/** As JSON it is exactly `bytes` long, and stays so through a billion changes. */
export function sessionOf(bytes: number): SessionData {
  const data: SessionData = {
    cookie: { originalMaxAge: null, path: '/' },
    n: 1_000_000_000,
    pad: '',
  }
  const missing = bytes - JSON.stringify(data).length
  if (missing < 0) throw new RangeError(`A session of ${String(bytes)} bytes is too small to be one`)
  data.pad = 'abcdefghijklmnopqrstuvwxyz012345'.repeat(Math.ceil(missing / 32)).slice(0, missing)
  return data
}

/** What a request does to its session, for contenders that read and write text. */
export function changed(text: string): string {
  const data: SessionData = JSON.parse(text)
  data.n++
  return JSON.stringify(data)
}

const COUNT = '"n":'

/** As `changed`, done to the text itself. */
export function changedText(text: string): string {
  const at = text.indexOf(COUNT) + COUNT.length
  const end = text.indexOf(',', at)
  return text.slice(0, at) + String(Number(text.slice(at, end)) + 1) + text.slice(end)
}
