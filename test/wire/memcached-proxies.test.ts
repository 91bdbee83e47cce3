/** The portable words: to memcached itself, and through the proxies that are to be had. */
import { describe } from 'vitest'
import { ownVersionsSubject, proxiedSubject } from '../support/memcached-subject.js'
import { missingProxy, PROXY_KINDS } from '../support/proxies.js'
import { itConforms, itConformsToo } from './conformance.js'

itConforms('memcached, portable words', (options) => proxiedSubject(undefined, options))

/**
 * Now and then memcached's proxy (1.6.38) ends the connection at a value that is too large, in the middle of reading it; the
 * flight is unknown then. No session is stored so: the wire says before how much is too much.
 */
const TOO_LARGE = /^too large/
/** And, with little memory left, reads a value as a request. The stores of test/wire/memcached-own-versions.test.ts have none left. */
const TOO_LARGE_OR_FULL = /^too large|^out of memory/

for (const kind of PROXY_KINDS) {
  const missing = missingProxy(kind)
  describe.skipIf(missing !== '')(`through ${kind}${missing}`, () => {
    itConformsToo(`memcached behind ${kind}`, (options) => proxiedSubject(kind, options), kind === 'proxy' ? TOO_LARGE : undefined)
  })
}

describe.skipIf(missingProxy('proxy') !== '')(`through proxy, versions of our own${missingProxy('proxy')}`, () => {
  itConformsToo('memcached behind its proxy, versions of our own', (options) => ownVersionsSubject(options), TOO_LARGE_OR_FULL)
})
