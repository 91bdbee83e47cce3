/** package.json's. Written down: the same code runs as a module, as a script and bundled, where that file is elsewhere. */
export const VERSION = '0.1.0'
