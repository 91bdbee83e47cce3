/** What `import` gets. Of a CommonJS file `import latchkey` would be all of its exports, not the middleware. */
export type * from './index.js'
export { latchkey, latchkey as default, SessionHttpError } from './index.js'
