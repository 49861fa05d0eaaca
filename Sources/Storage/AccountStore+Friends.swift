package import Mail

/// Addresses that accounts have logged in from.
extension AccountStore {
    /// Those that came last come first.
    package func friends(limit: Int) throws -> [KnownLogin] {
        try connection.run { access in
            var friends: [KnownLogin] = []
            try access.statement(AccountSQL.friends).bind(1, Int64(limit)).rows { row in
                if let address = IPAddress(row.text(1)) {
                    friends.append(KnownLogin(user: row.text(0), address: address))
                }
                return true
            }
            return friends
        }
    }

    /// - Parameters:
    ///   - day: of today, in days since 1970.
    ///   - since: who has not come since that day is forgotten.
    package func keep(friends: [KnownLogin], day: Int64, since: Int64) throws {
        guard !friends.isEmpty else { return }
        try connection.run { access in
            try access.transaction {
                try access.statement(AccountSQL.forgetFriends).bind(1, since).run()
                for friend in friends {
                    try access.statement(AccountSQL.keepFriend).bind(1, friend.user)
                        .bind(2, friend.address.description).bind(3, day).run()
                }
            }
        }
    }
}
