import type { ServerResponse } from 'node:http'
import type { RequestLife } from '../../request/request-life.js'
import { isCutHere } from '../../response/cut-here.js'
import { onceClosed } from '../../response/once-closed.js'
import { onHead } from '../../response/response-head.js'

/**
 * Tells the life of a request that its client has left; at once, where that was before.
 *
 * @param isPast whether the response was ended past the framework, which will never say that the handler has ended.
 */
export function watchClient(res: ServerResponse, life: RequestLife, isPast: () => boolean = () => false): void {
  onceClosed(res, () => life.clientGone(() => isPast() || isCutHere(res)))
}

/** Lets go when the head of an event stream leaves, which may last for hours. For frameworks that have no hook there. */
export function endAtEventStream(res: ServerResponse, life: RequestLife): void {
  onHead(res, (type) => {
    if (type.startsWith('text/event-stream')) void life.finish()
  })
}
