const MISSED = ['resave', 'saveUninitialized'] as const

/**
 * Warns, as express-session does, of the options whose default has long been going to change; and names the line that
 * lacks them. express-session would name the one that called it, which is a line of this package.
 *
 * @param called the function that the application has called: what is below it on the stack is the application's.
 */
export function warnOfMissing(given: Readonly<Partial<Record<(typeof MISSED)[number], unknown>>>, called: (...args: never[]) => unknown): void {
  const missing = MISSED.filter((name) => given[name] === undefined)
  if (missing.length === 0) return
  const here: { stack?: string } = {}
  Error.captureStackTrace(here, called)
  const line = here.stack?.split('\n')[1]?.trim() ?? ''
  const names = missing.join(' and ')
  process.emitWarning(`latchkey/express without ${names}: it goes on with true, as express-session does. Say which; false is best. ${line}`, 'DeprecationWarning')
}
