import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'

/**
 * One origin for both: /php to PHP, all else to Node. As nginx would do it:
 *
 *     location /php  { fastcgi_pass unix:/run/php/php8.2-fpm.sock; ... }
 *     location /     { proxy_pass http://127.0.0.1:3000; }
 */
export async function startFront(portOf: (path: string) => number): Promise<Server> {
  const front = createServer((incoming, answer) => {
    const { url: path = '/', method, headers } = incoming
    const outgoing = request({ host: '127.0.0.1', port: portOf(path), path, method, headers: { ...headers, connection: 'close' } }, (reply) => {
      answer.writeHead(reply.statusCode ?? 502, reply.headers)
      reply.pipe(answer)
    })
    outgoing.on('error', () => {
      if (answer.headersSent) answer.destroy()
      else answer.writeHead(502).end('{"error":"nobody answers behind the front"}')
    })
    incoming.pipe(outgoing)
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  return front
}

export const portOfServer = (server: Server): number => (server.address() as AddressInfo).port
