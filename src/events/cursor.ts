/**
 * Where a list goes on, as text that only its own list accepts.
 *
 *   day u32 | accepted f64 | number f64 | HMAC-SHA-256 of these, the tenant and the query: its first 16 bytes        in base64url
 *
 * It says nothing secret; the HMAC keeps a cursor with its tenant and query, so that nobody comes to depend on making one.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { BadCursor, type MessageQuery } from '../ports/message-store.ts'
import type { Place } from './day-queries.ts'
import type { Day } from './spans.ts'

export interface ListPlace extends Place {
  readonly day: Day
}

const placeBytes = 20
const macBytes = 16

export class Cursors {
  readonly #secret: Uint8Array

  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  write({ day, acceptedAtMs, number }: ListPlace, tenant: string, query: MessageQuery): string {
    const bytes = Buffer.alloc(placeBytes)
    bytes.writeUInt32LE(day, 0)
    bytes.writeDoubleLE(acceptedAtMs, 4)
    bytes.writeDoubleLE(number, 12)
    return Buffer.concat([bytes, this.#mac(bytes, tenant, query)]).toString('base64url')
  }

  /** @throws BadCursor */
  read(cursor: string, tenant: string, query: MessageQuery): ListPlace {
    const bytes = Buffer.from(cursor, 'base64url')
    const place = bytes.subarray(0, placeBytes)
    if (
      bytes.length !== placeBytes + macBytes ||
      // Several texts decode to the same bytes.
      bytes.toString('base64url') !== cursor ||
      !timingSafeEqual(bytes.subarray(placeBytes), this.#mac(place, tenant, query))
    ) {
      throw new BadCursor('the cursor is not one that this list gave: begin without one')
    }
    return { day: place.readUInt32LE(0), acceptedAtMs: place.readDoubleLE(4), number: place.readDoubleLE(12) }
  }

  /** A page may be of another size than the one before. */
  #mac(place: Uint8Array, tenant: string, query: MessageQuery): Buffer {
    const { recipient, sender, status, tag, fromMs, toMs } = query
    const bound = JSON.stringify([tenant, recipient, sender, status, tag, fromMs, toMs])
    return createHmac('sha256', this.#secret).update(place).update(bound).digest().subarray(0, macBytes)
  }
}
