//! The form of the two tables of refusals: of requests (`src/refusal.rs`) and of token requests
//! (`src/exchange/denial.rs`).

/// Declares an enum of reasons from the rows of its table, with a function for each column.
macro_rules! refusal_table {
    ($(#[$about:meta])* $table:ident
    $($number:literal $variant:ident $name:literal $fault:ident $status:literal $error:literal
        $sentence:literal, $advice:literal, $source:literal;)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum $table { $(#[doc = $sentence] $variant = $number),* }

        impl $table {
            /// Every reason, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The number in the log, as in `AB1212`.
            #[must_use]
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The name in the log.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn fault(self) -> $crate::refusal::Fault {
                match self { $(Self::$variant => $crate::refusal::Fault::$fault),* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// The OAuth error code.
            #[must_use]
            pub const fn error(self) -> &'static str {
                match self { $(Self::$variant => $error),* }
            }

            /// What the client is told.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),* }
            }

            /// What the operator is told to do or to look at.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice),* }
            }

            /// The standard's section that demands the refusal.
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self { $(Self::$variant => $source),* }
            }

            /// Writes the line for the log: number, name, what was seen, what to do.
            fn write_line(
                self,
                f: &mut std::fmt::Formatter<'_>,
                seen: Option<&str>,
            ) -> std::fmt::Result {
                write!(f, "AB{} {}: {}", self.number(), self.name(), self.sentence())?;
                if let Some(seen) = seen {
                    write!(f, " ({seen})")?;
                }
                write!(f, "; {}", self.advice())
            }
        }
    };
}

pub(crate) use refusal_table;
