"""What every long step shares: errors that help, atomic files, fingerprinted work folders, progress."""
