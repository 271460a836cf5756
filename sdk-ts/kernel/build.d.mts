export function kernel(): Uint8Array<ArrayBuffer>;
export function source(): string;
