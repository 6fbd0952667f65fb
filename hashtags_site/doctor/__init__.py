"""What an operator asks first: is every part of the site in order, and if not, what is to be done?"""
