// The handlers as the client knows them: what TypeScript inferred when the sagas were written in it.

export type CheckoutWorkflow = {
  run: (
    ctx: unknown,
    input: { productId: string; quantity: number; amountInCents: number },
  ) => Promise<{ reservationId: number; paidInCents: number }>;
};

export type Wallet = {
  topUp: (ctx: unknown, input: { amountInCents: number }) => Promise<number>;
  getBalance: (ctx: unknown) => Promise<number>;
};
