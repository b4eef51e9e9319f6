/** The ways in which a secret might have been written; of a credential also its own part, without id and checksum. */
export function formsOf(secret: Uint8Array, text?: string): readonly (string | Buffer)[] {
  const own = text === undefined ? [] : [...textForms(text), ...textForms(text.slice(-49, -6))];
  return [...byteForms(secret), ...own];
}

/** The same of a secret that is a text, as a token. */
export function textForms(text: string): readonly (string | Buffer)[] {
  return [text, encodeURIComponent(text), ...byteForms(Buffer.from(text))];
}

function byteForms(secret: Uint8Array): readonly (string | Buffer)[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString("hex");
  const percent = hex.replaceAll(/../g, "%$&");
  return [bytes, hex, hex.toUpperCase(), percent, percent.toUpperCase(), ...base64Forms(bytes)];
}

/** As part of a longer text in base64, a secret looks otherwise at each of three places. */
function base64Forms(bytes: Buffer): readonly string[] {
  return [0, 1, 2].flatMap((shift) => {
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes]);
    // Without what is made of the neighbours' bits, too.
    const start = Math.ceil((shift * 8) / 6);
    const end = Math.floor((shifted.length * 8) / 6);
    return [shifted.toString("base64").slice(start, end), shifted.toString("base64url").slice(start, end)];
  });
}
