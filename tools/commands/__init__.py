"""The commands of ``recon``, each in the file of its name."""
