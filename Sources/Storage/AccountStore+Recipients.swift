package import Mail

/// Whom customers have written to: it is worth little enough to be written down now and then.
extension AccountStore {
    /// All that are not older than `day`; those that are are forgotten.
    package func recipients(since day: UInt16) throws -> [KnownRecipient] {
        try connection.run { access in
            var recipients: [KnownRecipient] = []
            try access.statement(AccountSQL.forgetRecipients).bind(1, Int64(day)).run()
            try access.statement(AccountSQL.recipients).rows { row in
                recipients.append(
                    KnownRecipient(
                        customer: row.text(0), digest: UInt64(bitPattern: row.integer(1)),
                        day: UInt16(clamping: row.integer(2))))
                return true
            }
            return recipients
        }
    }

    package func keep(recipients: [KnownRecipient]) throws {
        guard !recipients.isEmpty else { return }
        try connection.run { access in
            try access.transaction {
                for each in recipients {
                    let digest = Int64(bitPattern: each.digest)
                    if let day = each.day {
                        try access.statement(AccountSQL.keepRecipient).bind(1, each.customer).bind(2, digest)
                            .bind(3, Int64(day)).run()
                    } else {
                        try access.statement(AccountSQL.forgetRecipient).bind(1, each.customer).bind(2, digest).run()
                    }
                }
            }
        }
    }

    /// The key of that name; made, and on disk, when there is none.
    ///
    /// - Parameter bytes: what becomes the key then.
    package func key(_ name: String, orElse bytes: @autoclosure () -> [UInt8]) throws -> [UInt8] {
        let bytes = bytes()
        return try connection.run { access in
            var found: [UInt8]?
            try access.statement(AccountSQL.key).bind(1, name).rows { row in
                found = Array(row.blob(0))
                return false
            }
            if let found { return found }
            try access.statement(AccountSQL.keepKey).bind(1, name).bind(2, bytes).run()
            return bytes
        }
    }
}
