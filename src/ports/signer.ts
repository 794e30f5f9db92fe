/** What compose asks of sign: DKIM-Signature fields for a finished message (RFC 6376). */

export interface Signer {
  /**
   * Null when this tenant has no key that fits the domain of the From header. Exact domain first, then its parents.
   * @param tenant its id in the directory, or its name in the configuration file
   */
  forDomain(fromDomain: string, tenant: string): Signing | null
}

/** One message's signing. Feed the body, in order, in any split; then ask for the fields. */
export interface Signing {
  /** Body bytes, CRLF line ends, as they will be sent before dot-stuffing. */
  body(bytes: Uint8Array): void
  /**
   * How many bytes `fields` will give, which must then get the same arguments. Costs no signature and needs no body: SIZE is
   * announced before either.
   */
  fieldsBytes(header: Buffer, timeSeconds: number): number
  /**
   * The DKIM-Signature fields, one per key, each ending in CRLF, to be put in front of the message.
   * @param header the whole header block as it will be sent, ending with the last field's CRLF, without the empty line
   * @param timeSeconds goes to `t=`; fixed per submission, so that every attempt gives the same bytes
   */
  fields(header: Buffer, timeSeconds: number): string
}
