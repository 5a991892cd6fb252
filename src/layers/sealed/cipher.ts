import { failure, invalidArgument } from '../../store/errors.ts';
import { utf8Length } from '../../store/keys.ts';
import { corrupt, MAX_KEY_ID_BYTES } from './header.ts';

const KEY_BYTES = 32;

/** AES-256-GCM by the host, with a set of keys. */
export class Cipher {
  readonly keyId: string;
  readonly #keys = new Map<string, Promise<CryptoKey>>();

  constructor(keys: Readonly<Record<string, Uint8Array>>, keyId: string | undefined) {
    if (crypto.subtle === undefined)
      throw failure(
        'unsupported',
        'seal',
        'this host has no WebCrypto; pages have it over HTTPS only',
      );
    const ids = Object.keys(keys);
    for (const id of ids) {
      const key = keys[id];
      if (id === '' || !id.isWellFormed() || utf8Length(id) > MAX_KEY_ID_BYTES)
        throw invalidArgument('seal', 'a key id', id, `1 to ${MAX_KEY_ID_BYTES} bytes of UTF-8`);
      if (!(key instanceof Uint8Array) || key.length !== KEY_BYTES)
        throw invalidArgument('seal', `the key ${JSON.stringify(id)}`, key, `${KEY_BYTES} bytes`);
    }
    const current = keyId ?? (ids.length === 1 ? ids[0] : undefined);
    if (current === undefined || !ids.includes(current))
      throw invalidArgument(
        'seal',
        'the option keyId',
        keyId,
        `one of ${ids.join(', ') || 'at least one key'}`,
      );
    this.keyId = current;
    for (const id of ids) {
      const imported = importKey(keys[id] as Uint8Array);
      // Told to whoever uses it.
      imported.catch(() => {});
      this.#keys.set(id, imported);
    }
  }

  async encrypt(
    plain: Uint8Array,
    iv: Uint8Array<ArrayBuffer>,
    additionalData: Uint8Array,
  ): Promise<Uint8Array> {
    const key = await (this.#keys.get(this.keyId) as Promise<CryptoKey>);
    return new Uint8Array(
      await crypto.subtle.encrypt(
        parameters(iv, additionalData),
        key,
        plain as Uint8Array<ArrayBuffer>,
      ),
    );
  }

  async decrypt(
    keyId: string,
    body: Uint8Array,
    iv: Uint8Array<ArrayBuffer>,
    additionalData: Uint8Array,
  ): Promise<Uint8Array> {
    const key = await this.#keys.get(keyId);
    if (key === undefined)
      throw corrupt(
        `the value is encrypted with the key ${JSON.stringify(keyId)}, which is not given`,
      );
    try {
      return new Uint8Array(
        await crypto.subtle.decrypt(
          parameters(iv, additionalData),
          key,
          body as Uint8Array<ArrayBuffer>,
        ),
      );
    } catch (cause) {
      throw corrupt(
        `the value does not open with the key ${JSON.stringify(keyId)}: it is damaged, or belongs to another key or store`,
        cause,
      );
    }
  }
}

function parameters(iv: Uint8Array<ArrayBuffer>, additionalData: Uint8Array): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: additionalData as Uint8Array<ArrayBuffer> };
}

/** Taken before anybody can change the bytes. */
function importKey(key: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', Uint8Array.from(key), 'AES-GCM', false, [
    'encrypt',
    'decrypt',
  ]);
}
