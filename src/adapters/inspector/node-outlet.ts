import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from './answers.js'
import type { InspectorRequest } from './options.js'

/** A request of Node's http, as the inspector reads it. @param url what the inspector's path is compared with. */
export function nodeRequest(req: IncomingMessage, url: string, original: unknown): InspectorRequest {
  return {
    method: req.method ?? 'GET',
    path: pathOf(url),
    header: (name) => {
      const value = req.headers[name.toLowerCase()]
      return Array.isArray(value) ? value.join(', ') : value
    },
    address: req.socket.remoteAddress,
    original,
  }
}

export const pathOf = (url: string): string => url.replace(/[?#].*$/, '')

/** Sends an answer by Node's http. */
export function sendAnswer(res: ServerResponse, { status, headers, body, stream }: Answer): void {
  res.writeHead(status, headers)
  const isHead = res.req.method === 'HEAD'
  if (stream === undefined || isHead) {
    res.end(isHead ? undefined : body)
    return
  }
  res.flushHeaders()
  const leave = stream({
    get isReady() {
      return !res.writableNeedDrain && !res.destroyed
    },
    write: (text) => void res.write(text),
    end: () => void res.end(),
  })
  res.on('error', leave)
  res.on('close', leave)
}
