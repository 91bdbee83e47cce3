import { memcachedSubject, PROTOCOLS } from '../support/memcached-subject.js'
import { wireConformance } from './conformance.js'

for (const protocol of PROTOCOLS) {
  wireConformance(`memcached, ${protocol} protocol`, (options) => memcachedSubject(protocol, options))
}
