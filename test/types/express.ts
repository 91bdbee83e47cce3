/** Type tests of latchkey/express, by one who writes with Express's own types: `npm run check` fails when a line that must compile does not. */
import type { IncomingMessage } from 'node:http'
import express, { type Request } from 'express'
import type { SessionData } from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey, type LatchkeyOptions, type Ttl } from 'latchkey/express'

declare module 'express-session' {
  interface SessionData {
    typed?: { days: number }
  }
}

export function options(manager: SessionManager): void {
  const common = { manager, secret: 's', resave: false, saveUninitialized: false } as const
  const all: LatchkeyOptions[] = [
    { ...common, label: (req: Request) => req.originalUrl, readOnly: (req: Request) => req.path === '/feed' },
    { ...common, label: (req) => req.originalUrl, readOnly: (req) => req.path === '/feed' && req.query['poll'] !== undefined },
    { ...common, label: (req: IncomingMessage) => req.url ?? '', readOnly: ({ method }: IncomingMessage) => method === 'HEAD' },
    { ...common, ttl: (session) => (session.typed === undefined ? undefined : session.typed.days * 86_400) },
    { ...common, ttl: ({ cookie }: Pick<SessionData, 'cookie'>) => cookie.maxAge },
  ]
  const ttl: Ttl = ({ typed }) => typed?.days
  // @ts-expect-error a session may lack it
  const certain: Ttl = (session) => session.typed.days
  // @ts-expect-error nobody has added it
  const unknown: Ttl = (session) => session.remember
  // @ts-expect-error it is no request of Express
  latchkey({ ...common, label: (req: { readonly page: string }) => req.page })
  express().use(...all.map((one) => latchkey(one)), latchkey({ ...common, ttl }))
  void [certain, unknown]
}
