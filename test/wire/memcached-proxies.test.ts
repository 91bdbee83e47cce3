/** The portable words: to memcached itself, and through the proxies that are to be had. */
import { describe } from 'vitest'
import { ownVersionsSubject, proxiedSubject } from '../support/memcached-subject.js'
import { missingProxy, PROXY_KINDS } from '../support/proxies.js'
import { itConforms } from './conformance.js'

itConforms('memcached, portable words', (options) => proxiedSubject(undefined, options))

for (const kind of PROXY_KINDS) {
  const missing = missingProxy(kind)
  describe.skipIf(missing !== '')(`through ${kind}${missing}`, () => {
    itConforms(`memcached behind ${kind}`, (options) => proxiedSubject(kind, options))
  })
}

describe.skipIf(missingProxy('proxy') !== '')(`through proxy, versions of our own${missingProxy('proxy')}`, () => {
  itConforms('memcached behind its proxy, versions of our own', (options) => ownVersionsSubject(options))
})
