/// A recipient that a customer has written to before, without its address.
package struct KnownRecipient: Sendable, Hashable {
    package var customer: String
    /// Of its address, with a key that only the node has.
    package var digest: UInt64
    /// Of the last message to it, in days since 1970; nil: it is forgotten.
    package var day: UInt16?

    package init(customer: String, digest: UInt64, day: UInt16?) {
        self.customer = customer
        self.digest = digest
        self.day = day
    }
}
