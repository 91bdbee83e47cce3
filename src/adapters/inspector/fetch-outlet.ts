import type { Answer } from './answers.js'
import type { InspectorRequest } from './options.js'

export function fetchRequest(request: Request, path: string): InspectorRequest {
  const { method, headers } = request
  // A Request that was made by hand has no Host, but its URL has.
  const header = (name: string): string | undefined => headers.get(name) ?? (name.toLowerCase() === 'host' ? new URL(request.url).host : undefined)
  return { method, path, header, address: undefined, original: request }
}

/** An answer as a Response. */
export function responseOf(request: Request, { status, headers, body, stream }: Answer): Response {
  if (request.method === 'HEAD') return new Response(null, { status, headers })
  if (stream === undefined) return new Response(body, { status, headers })
  const encoder = new TextEncoder()
  let leave = (): void => undefined
  const events = new ReadableStream<Uint8Array>({
    start(controller) {
      const end = (): void => {
        leave()
        try {
          controller.close()
        } catch {
          // Its reader has left already.
        }
      }
      leave = stream({
        get isReady() {
          return (controller.desiredSize ?? 0) > 0
        },
        write: (text) => {
          try {
            controller.enqueue(encoder.encode(text))
          } catch {
            leave()
          }
        },
        end,
      })
      request.signal.addEventListener('abort', end, { once: true })
    },
    cancel() {
      leave()
    },
  }, { highWaterMark: 4 })
  return new Response(events, { status, headers })
}
