/** The part of memjs 1.3.2 that the binary codec uses; memjs has no types of its own. */
declare module 'memjs' {
  interface Message {
    readonly header: {
      readonly opcode: number
      readonly status: number
      readonly opaque: number
      readonly totalBodyLength: number
      /** Eight bytes, a view of the message. */
      readonly cas: Buffer
    }
    readonly key: Buffer
    readonly extras: Buffer
    readonly val: Buffer
  }

  interface ResponseCallback {
    (message: Message): void
    /** Stays registered until an empty message comes (STAT). */
    quiet?: boolean
  }

  export class Server {
    constructor(host: string, port: number, username?: string, password?: string, options?: object)
    username: string | undefined
    password: string | undefined
    _socket: { write(bytes: Buffer): unknown; destroy(): unknown } | undefined
    error: (cause: unknown) => void
    once(event: 'authenticated', listener: () => void): this
    onResponse(sequence: number, callback: ResponseCallback): void
    responseHandler(bytes: Buffer): void
    saslAuth(): void
  }

  export const Utils: {
    makeRequestBuffer(
      opcode: number,
      key: string | Buffer,
      extras: string | Buffer,
      value: string | Buffer,
      opaque?: number,
    ): Buffer
  }
}
