/** The Message-ID of a message, by which it is recognised wherever it lies. Pure. */

/** The value of the first Message-ID header (RFC 5322 section 3.6.4), unfolded, of a header block or a part of one; undefined where there is none. Of a hostile one the first 4,096 octets. */
export function messageIdIn(header: Buffer): string | undefined {
  const found = /^message-id[ \t]*:((?:[^\r\n]|\r?\n[ \t]){0,4096})/im.exec(header.toString('latin1'));
  const value = found?.[1]?.replace(/\s+/g, ' ').trim();
  return value === '' ? undefined : value;
}
