/**
 * What the bodies of a thread's requests may hold together. One request may hold much, all of them may not, and neither may all of one tenant:
 * its share is a multiple of what is left, so that there is always something left for the next one.
 *
 *   loud alone        [ loud                    | left        ]   2 : 1
 *   loud and louder   [ loud          | louder          | left ]   2 : 2 : 1
 */
import { failures, type HttpFailure, httpFailures } from '../../model/failures.ts'
import { sharedBytesMin, tenantTimesLeftMax, unpackerBytes } from './limits.ts'

export class BodyMemory {
  readonly bytesMax: number
  #bytes = 0
  readonly #byTenant = new Map<string, number>()

  constructor(bodyBytesMax: number) {
    // A body that grows is there twice while it is copied, and that is two thirds at most: the share of a tenant that is alone.
    this.bytesMax = Math.max(sharedBytesMin.value, 3 * (bodyBytesMax + unpackerBytes.value))
  }

  /** Reserved now. */
  get bytes(): number {
    return this.#bytes
  }

  /** That hold something now. */
  get tenants(): number {
    return this.#byTenant.size
  }

  /**
   * A failure: there is no room now, and nothing was reserved.
   * @param ofRequestBytes what the request that asks holds by now
   */
  reserve(tenant: string, bytes: number, ofRequestBytes: number): HttpFailure | null {
    const heldBytes = this.#byTenant.get(tenant) ?? 0
    const leftBytes = this.bytesMax - this.#bytes - bytes
    if (isShare(heldBytes + bytes, leftBytes)) {
      this.#add(tenant, bytes)
      return null
    }
    // Would it have room if the tenant had nothing else under way?
    const elsewhereBytes = heldBytes - ofRequestBytes
    return isShare(ofRequestBytes + bytes, leftBytes + elsewhereBytes) ? httpFailures.tenantBusy : failures.intakeBusy
  }

  release(tenant: string, bytes: number): void {
    this.#add(tenant, -bytes)
  }

  #add(tenant: string, bytes: number): void {
    this.#bytes += bytes
    const heldBytes = (this.#byTenant.get(tenant) ?? 0) + bytes
    if (heldBytes === 0) this.#byTenant.delete(tenant)
    else this.#byTenant.set(tenant, heldBytes)
  }
}

const isShare = (heldBytes: number, leftBytes: number): boolean => heldBytes <= tenantTimesLeftMax.value * leftBytes
