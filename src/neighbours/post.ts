/**
 * Carries short texts between processes on any hosts, through a store that all of them use. Use what arrives as a hint
 * only: a text may be lost, come late or twice, or come from somebody who makes it up.
 */
export interface Post {
  /** Hears the texts for `box` from soon on; what is sent before that is lost. Does not keep the process alive. */
  listen(box: string, heard: (text: string) => void): Listening
  /** Sends a text of ASCII. Nobody is told whether it arrived. */
  send(box: string, text: string): void
}

export interface Listening {
  close(): void
}
